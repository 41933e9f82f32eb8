-- Puts the jobs that a worker holds without knowing of them, after an answer of the database was lost, back
-- into the queue.
create or replace function jobs.give_back_unknown(worker text, known bigint[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select graphile_worker._private_return_jobs(give_back_unknown.worker, array_agg(q.id))
    from graphile_worker._private_jobs q
    where q.locked_by = give_back_unknown.worker and q.id <> all (known)
    having count(*) > 0
$$;
grant execute on function jobs.give_back_unknown to gather_worker;
