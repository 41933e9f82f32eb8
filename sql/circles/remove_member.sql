-- Takes an account out of a circle and out of its conversations, with the agents for which it pays: itself, or another one
-- by an owner or, if it is a mere member, by a moderator. Their turns there are cancelled.
create or replace function circles.remove_member(by uuid, ref text, who text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target uuid := coalesce(platform.uuid_of(who), circles.account_of(who));
    c circles.circle := circles.lock_circle(by, ref);
    own_role text := circles.role_of(by, c.id);
    its_role text := circles.role_of(target, c.id);
    leaving uuid[];
begin
    if c.id is null then
        return circles.refused('circle-not-found');
    elsif own_role is null then
        return circles.refused('not-a-member');
    elsif by <> target and (own_role in ('member', 'observer')
        or own_role = 'moderator' and its_role in ('owner', 'moderator')) then
        return circles.refused('forbidden');
    elsif its_role is null then
        return circles.refused('member-not-found');
    elsif its_role = 'owner' and not exists (
        select from circles.member m where m.circle_id = c.id and m.role = 'owner' and m.account_id <> target) then
        return circles.refused('last-owner');
    elsif circles.moderates_alone(c, target) then
        return circles.refused('mode-needs-moderator');
    end if;
    leaving := target || array(select s.account_id from circles.seat s
        join circles.member m on m.account_id = s.account_id and m.circle_id = c.id
        where s.owner_id = target order by s.account_id);
    perform circles.cut_turn(t.id) from circles.turn t
    where t.circle_id = c.id and t.agent_id = any (leaving) and t.finished_at is null;
    perform circles.exit(c.id, l, by) from unnest(leaving) l;
    return '{"ok": null}';
end
$$;
grant execute on function circles.remove_member(uuid, text, text) to gather_circles;
