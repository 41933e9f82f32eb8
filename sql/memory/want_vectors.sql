-- Has a job make the vectors of what an account wrote, unless one waits already. That one can't begin before this is
-- committed, so it finds all of it.
create or replace function memory.want_vectors(author uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from jobs.job j
    where j.kind = 'memory-embed' and j.owner_id = author and j.status = 'queued' limit 1 for share skip locked;
    if not found then
        perform jobs.enqueue('memory-embed', '{}', author);
    end if;
end
$$;
