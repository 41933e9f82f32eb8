-- Ends the approvals whose time is over, the oldest `most`, so that whoever waits for them hears it. None depends on
-- it: who decides or reads finds them expired already. Answers how many there were.
create or replace function inbox.expire(most integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    due uuid;
    number integer := 0;
begin
    for due in
        select a.id from inbox.approval a where a.state = 'pending' and a.expires_at <= clock_timestamp()
        order by a.expires_at limit expire.most for update skip locked
    loop
        perform inbox.finish(due, 'expired', null);
        number := number + 1;
    end loop;
    return number;
end
$$;
