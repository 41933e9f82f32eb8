-- Hands the sealed values of secrets over to the program of a claw in a container, or says why not: of those whose `use`
-- says `handed`; there is no row for others. What the owner sees, the grant to the claw, expiry and count are checked, and
-- each reading is written down as a use, in this statement.
--   component  who asks
--   account    the owner of the claw
create or replace function vault.hand(component text, account uuid, claw uuid, secrets uuid[])
returns table (secret uuid, refused text, number integer, account_id uuid, team_id uuid, sealed bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known vault.secret;
    taken vault.version;
    subject text;
begin
    for known in
        select s.* from vault.secret s
        where s.id = any(hand.secrets) and s.state <> 'deleted' and s.place ? 'handed' and vault.sees(hand.account, s)
        order by s.id
    loop
        select v.* into taken from vault.version v where v.secret_id = known.id and v.state = 'current';
        subject := null;
        if known.state = 'expired' or known.expires_at <= now() or taken.sealed is null then
            refused := 'secret-expired';
        else
            subject := vault.grant_for(known, hand.account, array['claw:' || hand.claw]);
            refused := case when subject is null then 'secret-not-granted' end;
        end if;
        insert into vault.use (secret_id, account_id, component, subject, origin, method, path, version, refused)
        values (known.id, hand.claw, hand.component, subject, 'claw:' || hand.claw, 'GET', '/api/claws/me/secrets',
            taken.number, hand.refused);
        secret := known.id;
        number := taken.number;
        account_id := known.account_id;
        team_id := known.team_id;
        sealed := case when refused is null then taken.sealed end;
        if refused is not null then
            perform vault.tell_refused(known, hand.claw, hand.component, 'claw:' || hand.claw, refused);
        end if;
        return next;
    end loop;
end
$$;
grant execute on function vault.hand to gather_egress;
