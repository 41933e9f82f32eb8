-- Locks a team for a change, and refuses accounts that may not run it; to strangers it does not exist. Changes of the
-- team and its members take turns, so that nobody acts by a role that was taken away meanwhile.
create or replace function identity.lock_team(team uuid, actor uuid, is_admin boolean) returns void
language plpgsql
as $$
begin
    perform from identity.team t where t.id = lock_team.team for update;
    if not found or not (is_admin or exists (select from identity.team_member m
            where m.team_id = lock_team.team and m.account_id = actor)) then
        perform identity.refuse('team_unknown');
    end if;
    if not (is_admin or identity.allows(actor, 'team:manage', lock_team.team)) then
        perform identity.refuse('team_not_owned');
    end if;
end
$$;
