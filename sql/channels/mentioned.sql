-- The accounts that a text by `author` mentions in a channel: by their names, or by those of the author's teams. At most
-- 50, only those that may read the channel, and none that wants nothing of the author.
create or replace function channels.mentioned(names text[], author uuid, channel uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(
        select n.id from (
            select a.id from identity.account a where a.name = any (names) and a.status = 'active'
            union
            select m.account_id from identity.team t join identity.team_member m on m.team_id = t.id
            join identity.account a on a.id = m.account_id and a.status = 'active'
            where t.name = any (names) and exists (
                select from identity.team_member own where own.team_id = t.id and own.account_id = author)
        ) n
        where n.id <> author and channels.may_read(n.id, channel) and author <> all (channels.shunned(n.id))
        order by n.id limit 50)
$$;
