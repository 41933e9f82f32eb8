-- The agent or the circle of an id or a name that an account may ask: an agent that the platform thinks for, of its own or
-- public, or a circle in which it may speak. Null if there is none.
--   kind  `agent` or `circle`
create or replace function circles.askable(account uuid, kind text, ref text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select s.account_id from circles.seat s
    join identity.account a on a.id = s.account_id and a.status = 'active'
    join identity.account o on o.id = s.owner_id and o.status = 'active'
    where askable.kind = 'agent' and (s.owner_id = account or s.public)
    and not social.blocks(s.account_id, account) and (a.id = platform.uuid_of(ref) or a.name = ref)
    union all
    select c.id from circles.circle c
    where askable.kind = 'circle' and (c.id = platform.uuid_of(ref) or c.name = ref)
    and (c.public or circles.role_of(account, c.id) <> 'observer')
    and (c.mode <> 'moderated' or circles.moderator_of(c.id) is not null)
    limit 1
$$;
