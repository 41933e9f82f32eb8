-- The active accounts that a text by `author` names, by their own names or by those of the author's teams, except those
-- that want nothing of the author. The caller leaves out accounts that may not read the text.
create or replace function social.named(names text[], author uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select n.id from (
        select a.id from identity.account a where a.name = any (names) and a.status = 'active'
        union
        select m.account_id from identity.team t join identity.team_member m on m.team_id = t.id
        join identity.account a on a.id = m.account_id and a.status = 'active'
        where t.name = any (names) and exists (
            select from identity.team_member own where own.team_id = t.id and own.account_id = author)
    ) n
    where n.id <> author and not social.shuns(n.id, author)
$$;
