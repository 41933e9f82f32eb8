-- The score of a result: its rank by words, its nearness by meaning, or, by both, their sum on one scale. There a third of
-- the rank counts, from 0 to 1, and 1 more for the query's very name, so that nothing is before that. A half that is missing
-- adds nothing. It depends on the query and the result alone.
create or replace function search.score(mode text, rank double precision, semantic double precision)
returns double precision
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select case mode
        when 'semantic' then semantic
        when 'hybrid' then round((coalesce(rank / 3 + case when rank >= 3 then 1 else 0 end, 0)
            + coalesce(semantic, 0))::numeric, 4)::double precision
        else rank
    end
$$;
