-- Refuses an account that is suspended or gone: its tokens are believed for a moment, and what lasts is not made with
-- them. Whoever merely refers to the account does not wait for us.
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
