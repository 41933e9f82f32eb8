-- Forgets what a selector means, for the job that was asked to, once: another attempt gets the same counts and ids. Blocks of
-- a scope that is forgotten go, too.
create or replace function memory.forget(job uuid, actor uuid, everybodys boolean, selector jsonb, preview boolean)
returns table (counts jsonb, ids uuid[], erased_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    blocks bigint := 0;
begin
    select e.counts, e.ids, e.erased_at into counts, ids, erased_at from memory.erasure e where e.job_id = job;
    if found then
        return next;
        return;
    end if;
    select e.counts, e.ids, now() into counts, ids, erased_at
    from memory.erase(memory.selected(actor, everybodys, selector), actor, preview) e;
    select count(*) into blocks from memory.space s join memory.block b on b.space_id = s.id
    where s.scope = selector ->> 'scope' and s.place = memory.place((selector ->> 'scope_id')::uuid)
    and memory.level(actor, s.scope, s.scope_id) = 'manage';
    counts := counts || jsonb_build_object('blocks', blocks);
    if not preview then
        delete from memory.block b using memory.space s
        where s.id = b.space_id and s.scope = selector ->> 'scope'
        and s.place = memory.place((selector ->> 'scope_id')::uuid)
        and memory.level(actor, s.scope, s.scope_id) = 'manage';
        insert into memory.erasure (job_id, counts, ids, erased_at) values (job, counts, ids, erased_at);
        perform audit.record(actor, 'memory.forgotten', job::text, true, null, null, counts);
    end if;
    return next;
end
$$;
grant execute on function memory.forget to gather_memory_forget;
