-- Adds a member to a circle, or with `change` sets the role and the order of one. Owners and moderators can; roles are for
-- owners alone. A `persona` makes a seat: an account that the platform thinks for, which its owner pays for. What a seat that
-- exists thinks with, and whether it is public, its owner alone says, whatever role that one has.
--   new  {account} or {persona, name, budget}, and {role, order, public}; with `change` {account, persona, public, role, order}
create or replace function circles.put_member(by uuid, ref text, new jsonb, change boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle := circles.lock_circle(by, ref);
    own_role text := circles.role_of(by, c.id);
    target uuid;
    owner uuid;
begin
    if change then
        select s.owner_id into owner from circles.seat s where s.account_id = circles.account_of(new ->> 'account');
    end if;
    if c.id is null then
        return circles.refused('circle-not-found');
    elsif own_role is null then
        return circles.refused('not-a-member');
    elsif change and coalesce(new ->> 'persona', new ->> 'public') is not null and owner is distinct from by
        or own_role = 'moderator' and new ->> 'role' in ('owner', 'moderator')
        or own_role not in ('owner', 'moderator')
        and (owner is distinct from by or coalesce(new ->> 'role', new ->> 'order') is not null) then
        return circles.refused('forbidden');
    elsif not change and (select count(*) from circles.member m where m.circle_id = c.id) >= 200 then
        return circles.refused('too-many-members');
    end if;
    if change or new ->> 'persona' is null then
        target := circles.account_of(new ->> 'account');
        if target is null or by = any (social.shunned(target)) or change and circles.role_of(target, c.id) is null then
            return circles.refused('account-not-found');
        elsif not change and circles.role_of(target, c.id) is not null then
            return jsonb_build_object('ok', jsonb_build_object('is_new', false, 'circle', c.id, 'member', (
                select circles.member_json(m) from circles.member m where m.circle_id = c.id and m.account_id = target)));
        -- A seat belongs to its owner, who decides where it speaks.
        elsif not change and exists (select from circles.seat s where s.account_id = target and s.owner_id <> by) then
            return circles.refused('account-not-found');
        elsif circles.role_of(target, c.id) = 'owner' and new ->> 'role' <> 'owner' and not exists (
            select from circles.member m where m.circle_id = c.id and m.role = 'owner' and m.account_id <> target) then
            return circles.refused('last-owner');
        elsif new ->> 'persona' is not null then
            if circles.persona_json(circles.find_persona(by, split_part(new ->> 'persona', '@', 1)),
                nullif(split_part(new ->> 'persona', '@', 2), '')::integer) is null then
                return circles.refused('persona-not-found');
            end if;
            perform circles.set_seat(target, jsonb_build_object('persona', new -> 'persona'));
        end if;
    else
        target := circles.create_seat(by, new ->> 'persona', new ->> 'name');
        if target is null then
            return circles.refused('persona-not-found');
        end if;
        perform circles.set_budget('account:' || target, new -> 'budget');
    end if;
    update circles.seat s set public = (new ->> 'public')::boolean
    where s.account_id = target and s.owner_id = by and new ->> 'public' is not null;
    return jsonb_build_object('ok', circles.enter(c, target, new ->> 'role', (new ->> 'order')::integer, by));
end
$$;
grant execute on function circles.put_member(uuid, text, jsonb, boolean) to gather_circles;
