-- The lowest trust of sources, `[{type, id}]`, for an account; null without any. One that it does not know of is refused.
create or replace function memory.trust_of_sources(account uuid, sources jsonb) returns text
language plpgsql volatile
as $$
declare
    source record;
    answer text;
    lowest text;
begin
    for source in
        select s.id, t.trust from jsonb_to_recordset(sources) as s (type text, id text)
        left join memory.source_type t on t.type = s.type
    loop
        answer := null;
        if source.trust is not null then
            execute format('select %s($1, $2)', source.trust) into answer using account, source.id;
        end if;
        if answer is null then
            perform identity.refuse('memory_source');
        end if;
        lowest := memory.lowest(answer, lowest);
    end loop;
    return lowest;
end
$$;
