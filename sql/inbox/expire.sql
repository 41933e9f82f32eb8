-- Ends the oldest `most` approvals whose time is over, so that accounts waiting for them are told. Nothing depends on
-- it, since decisions and reads treat them as expired already. Returns their number.
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
