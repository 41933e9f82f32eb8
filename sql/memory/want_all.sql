-- Has the vectors made of everything that lacks them, of each author whom no job works for. Returns the number of jobs.
create or replace function memory.want_all(job uuid) returns integer
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select count(jobs.enqueue('memory-embed', '{}', a.author, by_job => job))::integer
    from (select distinct v.author from memory.version v
        where not v.embedded and v.replaced_at is null) a
    where exists (select from identity.account o where o.id = a.author and o.status = 'active')
    and not exists (select from jobs.job j
        where j.kind = 'memory-embed' and j.owner_id = a.author and j.finished_at is null)
$$;
grant execute on function memory.want_all to gather_memory_embed;
