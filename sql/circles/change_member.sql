-- Changes a member of a circle: its owners set roles, they and its moderators the order of the speakers. Whether a seat is
-- public, and which version of which persona it has, is for its owner to say.
--   change  any of {role, order, public, persona}; `persona` as for `circles.create_seat`. What is null stays. An `account`
--           must be the member's, and `held` are the scopes of the token: see `circles.may_steer`
create or replace function circles.change_member(by uuid, ref text, who text, change jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle := circles.lock_circle(by, ref);
    target uuid := circles.account_of(who);
    own_role text := circles.role_of(by, c.id);
    its_role text := circles.role_of(target, c.id);
    change jsonb := jsonb_strip_nulls(change_member.change) - 'held';
    is_of_seat boolean := change ?| '{public,persona}';
    persona text := change ->> 'persona';
begin
    if c.id is null then
        return circles.refused('circle-not-found');
    elsif own_role is null then
        return circles.refused('not-a-member');
    elsif target is null then
        return circles.refused('member-not-found');
    elsif change ? 'account' and circles.account_of(change ->> 'account') is distinct from target then
        return circles.refused('account-not-found');
    elsif its_role is null and not is_of_seat then
        return circles.put_member(by, ref, change || jsonb_build_object('account', target), '{}');
    elsif its_role is null then
        return circles.refused('member-not-found');
    elsif change ? 'role' and own_role <> 'owner'
        or (change ? 'order' or not is_of_seat) and own_role not in ('owner', 'moderator')
        or is_of_seat and not exists (select from circles.seat s where s.account_id = target and s.owner_id = by) then
        return circles.refused('forbidden');
    elsif its_role = 'owner' and change ->> 'role' <> 'owner' and not exists (
        select from circles.member m where m.circle_id = c.id and m.role = 'owner' and m.account_id <> target) then
        return circles.refused('last-owner');
    elsif change ->> 'role' <> 'moderator' and circles.moderates_alone(c, target) then
        return circles.refused('mode-needs-moderator');
    elsif persona is not null and circles.persona_json(circles.find_persona(by, split_part(persona, '@', 1)),
        nullif(split_part(persona, '@', 2), '')::integer) is null then
        return circles.refused('persona-unknown');
    elsif persona is not null and not exists (select from circles.seat s
        where s.account_id = target and circles.may_steer(s, platform.texts_of(change_member.change -> 'held'))) then
        return circles.refused('scopes-exceed-owner');
    end if;
    perform circles.set_seat(target, change - '{role,order,account}'::text[]) where is_of_seat;
    return jsonb_build_object('ok', circles.enter(c, target, change ->> 'role', (change ->> 'order')::integer, by));
end
$$;
grant execute on function circles.change_member(uuid, text, text, jsonb) to gather_circles;
