-- What a finder finds by the meaning of a query, and how near those are that were found by its words.
create or replace function search.by_meaning(
    finder text, reader uuid, query text, kinds text[], model text, meaning text, hits search.hit[], most integer
) returns search.hit[]
language plpgsql
as $$
declare
    also text[] := array(select h.id from unnest(hits) h where h.kind = any (kinds));
    found_hits search.hit[];
begin
    execute format(
        'select array_agg(row(h.kind, h.id, left(h.title, 200), left(h.snippet, 500), left(h.url, 500), h.created_at,
             round(h.rank::numeric, 4), round(h.semantic::numeric, 4))::search.hit)
         from (select * from %s($1, $2, $4, $5, $6, $7) f where f.kind = any ($3) limit $7 + cardinality($6)) h', finder)
    into found_hits using reader, query, kinds, model, meaning, also, most;
    return found_hits;
end
$$;
