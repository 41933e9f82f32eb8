-- Keeps the result of an example. Null if it was not run after all, because the sandbox had no room for it.
create or replace function skills.end_example(version uuid, number integer, outcome jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from skills.sent_example s
    where s.version_id = end_example.version and s.number = end_example.number and end_example.outcome is null;
    update skills.sent_example s set outcome = end_example.outcome
    where s.version_id = end_example.version and s.number = end_example.number;
$$;
grant execute on function skills.end_example to gather_skill_review;
