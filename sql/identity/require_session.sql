-- Refuses an account that is suspended or has left, or whose session has ended, since an access token is valid for two
-- seconds more.
create or replace function identity.require_session(account uuid, session uuid) returns void
language plpgsql
as $$
begin
    perform identity.require_active(account);
    if not exists (select from identity.session s
            where s.id = session and s.account_id = account and s.revoked_at is null) then
        perform identity.refuse('account_active');
    end if;
end
$$;
