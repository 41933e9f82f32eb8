-- Locks a circle for a change by an account that may read it, so that changes take turns. Null if there is none.
create or replace function circles.lock_circle(account uuid, ref text) returns circles.circle
language plpgsql
as $$
declare
    c circles.circle;
begin
    perform from identity.account a where a.id = account and a.status = 'active' for key share;
    if not found then
        return null;
    end if;
    select x.* into c from circles.circle x where x.id = circles.find_circle(account, ref) for no key update;
    if not circles.may_read_circle(account, c) then
        return null;
    end if;
    return c;
end
$$;
