-- What the next value of a secret is sealed to: its id, its owner, and the number that the value will have. Refuses whom
-- `vault.rotate` would refuse.
create or replace function vault.rotating(actor uuid, reference text, expected text[]) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known vault.secret := vault.managed(actor, reference, expected);
begin
    if known.state = 'expired' or known.expires_at <= now() then
        perform identity.refuse('secret_expired');
    end if;
    return jsonb_build_object('id', known.id, 'account_id', known.account_id, 'team_id', known.team_id,
        'number', known.version + 1);
end
$$;
grant execute on function vault.rotating to gather_vault;
