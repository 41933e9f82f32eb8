-- Forgets memories and all that came of them: texts, former versions, edges, kept answers, captured calls. Nothing is left
-- but their ids. Returns the counts and the ids.
create or replace function memory.erase(roots uuid[], actor uuid, preview boolean default false)
returns table (counts jsonb, ids uuid[])
language plpgsql
as $$
#variable_conflict use_column
declare
    space memory.space;
    texts text[];
    accounts uuid[];
    calls uuid[];
    answers bigint;
    captures bigint;
begin
    ids := memory.doomed(roots);
    counts := memory.counts_of(ids);
    if preview then
        return next;
        return;
    end if;
    texts := array(select distinct v.content from memory.version v where v.memory_id = any (ids));
    accounts := array(select actor union select v.author from memory.version v where v.memory_id = any (ids));
    calls := array(select platform.uuid_of(o.id) from memory.source o where o.memory_id = any (ids) and o.type = 'call');
    for space in select s.* from memory.space s
        where s.id in (select m.space_id from memory.memory m where m.id = any (ids)) order by s.id
    loop
        perform memory.tell(space, 'memory.forgotten', jsonb_build_object('ids', (
            select jsonb_agg(m.id order by m.id) from memory.memory m
            where m.id = any (ids) and m.space_id = space.id)), actor);
    end loop;
    insert into memory.forgotten (id, space_id)
    select m.id, m.space_id from memory.memory m where m.id = any (ids);
    delete from memory.memory m where m.id = any (ids);
    delete from memory.idempotency_key k where exists (select from unnest(ids) i where strpos(k.body, i::text) > 0);
    get diagnostics answers = row_count;
    captures := llm.erase_texts(accounts, calls, texts);
    counts := counts || jsonb_build_object('answers', answers, 'captured_calls', captures);
    return next;
end
$$;
