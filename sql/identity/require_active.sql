-- Refuses an account that is suspended or has left. Its tokens are valid for a moment longer, and must not make
-- anything that lasts. References to the account do not wait for this lock.
create or replace function identity.require_active(account uuid) returns void
language plpgsql
as $$
begin
    perform from identity.account a where a.id = account and a.status = 'active' for no key update;
    if not found then
        perform identity.refuse('account_active');
    end if;
end
$$;
