-- Whether an account may be asked to decide about the calls of tools of an owner's agents, so that nobody asks strangers: the
-- owner, its own owner and its agents, and members of a team of both, who can leave it, unless they have blocked the owner.
create or replace function circles.may_decide(account uuid, owner uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from identity.account a where a.id = may_decide.account and a.status = 'active') and (
        account = owner
        or exists (select from identity.agent g
            where g.account_id = account and g.owner_id = owner or g.account_id = owner and g.owner_id = account)
        or exists (select from identity.team_member m join identity.team_member o on o.team_id = m.team_id
            where m.account_id = account and o.account_id = owner)
        and not exists (select from social.block b where b.blocker = account and b.blocked = owner))
$$;
