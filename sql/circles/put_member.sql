-- Adds a member to a circle. Its owners and moderators can do this, and only owners add owners and moderators. A `persona`
-- makes a seat: an account that the platform thinks for, which its owner pays for.
--   new   {account} or {persona, name, budget}, and {role, order, public}
--   held  the scopes of the token by which that is asked: a seat gets no others
create or replace function circles.put_member(by uuid, ref text, new jsonb, held text[]) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle := circles.lock_circle(by, ref);
    own_role text := circles.role_of(by, c.id);
    target uuid;
begin
    if c.id is null then
        return circles.refused('circle-not-found');
    elsif own_role is null then
        return circles.refused('not-a-member');
    elsif own_role not in ('owner', 'moderator') or own_role = 'moderator' and new ->> 'role' in ('owner', 'moderator') then
        return circles.refused('forbidden');
    elsif (select count(*) from circles.member m where m.circle_id = c.id) >= 200 then
        return circles.refused('too-many-members');
    end if;
    if new ->> 'persona' is null then
        target := circles.account_of(new ->> 'account');
        if target is null or by = any (social.shunned(target)) then
            return circles.refused('account-not-found');
        elsif circles.role_of(target, c.id) is not null then
            return jsonb_build_object('ok', jsonb_build_object('is_new', false, 'circle', c.id, 'member', (
                select circles.member_json(m) from circles.member m where m.circle_id = c.id and m.account_id = target)));
        -- A seat belongs to its owner, who decides where it speaks.
        elsif exists (select from circles.seat s where s.account_id = target and s.owner_id <> by) then
            return circles.refused('account-not-found');
        end if;
    else
        target := circles.create_seat(by, new ->> 'persona', new ->> 'name');
        if target is null then
            return circles.refused('persona-unknown');
        end if;
        update circles.seat s set scopes = circles.scopes_lent(by, held) where s.account_id = target;
        perform circles.set_budget('account:' || target, nullif(new -> 'budget', 'null'));
    end if;
    update circles.seat s set public = (new ->> 'public')::boolean
    where s.account_id = target and s.owner_id = by and new ->> 'public' is not null;
    return jsonb_build_object('ok', circles.enter(c, target, new ->> 'role', (new ->> 'order')::integer, by));
end
$$;
grant execute on function circles.put_member(uuid, text, jsonb, text[]) to gather_circles;
