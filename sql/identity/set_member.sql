-- Puts an account, by id or name, into a team, with a role or another one; null takes it out. That is for who may run
-- the team, but everybody can leave. The last owner stays. False if the account does not exist or is not a member.
create or replace function identity.set_member(team uuid, ref text, role text, actor uuid, is_admin boolean, client jsonb)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target uuid := identity.account_called(ref);
begin
    if set_member.role is null and target = actor then
        perform from identity.team t where t.id = set_member.team for update;
    else
        perform identity.lock_team(set_member.team, actor, is_admin);
    end if;
    -- An account that leaves at this moment goes before this statement, or is taken out after it.
    perform from identity.account a where a.id = target for share;
    if set_member.role is null then
        delete from identity.team_member m where m.team_id = set_member.team and m.account_id = target;
    else
        insert into identity.team_member as m (team_id, account_id, role)
        select set_member.team, a.id, set_member.role from identity.account a
        where a.id = target and a.status <> 'deleted'
        on conflict on constraint team_member_pkey do update set role = excluded.role;
    end if;
    if not found then
        return false;
    end if;
    if not exists (select from identity.team_member m where m.team_id = set_member.team and m.role = 'owner') then
        perform identity.refuse('team_last_owner');
    end if;
    perform audit.record(actor, 'team.member-changed', set_member.team::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('account', target, 'role', set_member.role));
    return true;
end
$$;
grant execute on function identity.set_member to gather_accounts;
