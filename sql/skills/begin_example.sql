-- Lets a review run an example that may reach an origin. If `is_first` is true, it has not been run, and is to be run
-- now.
-- Otherwise `outcome` is its result; null if that was lost.
create or replace function skills.begin_example(version uuid, number integer, out is_first boolean, out outcome jsonb)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into skills.sent_example (version_id, number) values (begin_example.version, begin_example.number)
    on conflict on constraint sent_example_pkey do nothing;
    is_first := found;
    outcome := (select s.outcome from skills.sent_example s
        where s.version_id = begin_example.version and s.number = begin_example.number);
end
$$;
grant execute on function skills.begin_example to gather_skill_review;
