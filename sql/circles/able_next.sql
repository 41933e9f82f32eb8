-- The agents that may speak after a turn whose speaker names the next, those that have been silent longest first. Unless the
-- rules allow it, a moderator does not let the last speaker speak again.
create or replace function circles.able_next(t circles.turn, c circles.circle) returns uuid[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    able uuid[] := array(
        select m.account_id from circles.member m join identity.account a on a.id = m.account_id
        where m.circle_id = c.id and m.role <> 'observer' and a.kind = 'agent' and a.status = 'active'
        and m.account_id <> t.agent_id
        order by (select max(o.created_at) from circles.turn o
            where o.channel_id = t.channel_id and o.agent_id = m.account_id) nulls first, m.place, m.account_id);
    last_one uuid;
begin
    if c.mode = 'moderated' and not coalesce((c.rules ->> 'allow_repeat')::boolean, false) and cardinality(able) > 1 then
        select o.agent_id into last_one from circles.turn o
        where o.channel_id = t.channel_id and o.agent_id <> t.agent_id order by o.id desc limit 1;
        able := array_remove(able, last_one);
    end if;
    return able;
end
$$;
