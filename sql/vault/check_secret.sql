-- Refuses a secret whose paths would not mean the same to everybody, that expires before it is made, or that is one too
-- many for its owner.
create or replace function vault.check_secret(secret vault.secret) returns void
language plpgsql
as $$
begin
    if exists (select from unnest(secret.paths) p where not vault.is_plain_path(p)) then
        perform identity.refuse('secret_paths');
    end if;
    if secret.expires_at <= now() then
        perform identity.refuse('secret_expires');
    end if;
    if (select count(*) from vault.secret s where s.state <> 'deleted'
        and s.account_id is not distinct from secret.account_id and s.team_id is not distinct from secret.team_id) > 500 then
        perform identity.refuse('secret_count');
    end if;
end
$$;
