-- Whether an account may read and use a persona: its own, those of accounts that share a team with it if they say so, and
-- public ones, as those that the platform brings along are.
create or replace function circles.may_use_persona(account uuid, p circles.persona) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select p.deleted_at is null and (p.visibility = 'public' or coalesce(p.owner_id = account, false)
        or p.visibility = 'team' and exists (
            select from identity.team_member o join identity.team_member m on m.team_id = o.team_id
            where o.account_id = p.owner_id and m.account_id = may_use_persona.account))
$$;
grant execute on function circles.may_use_persona(uuid, circles.persona) to gather_circles;
