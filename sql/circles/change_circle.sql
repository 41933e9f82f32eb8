-- Changes a circle. Moderators may change its purpose and rules, and owners everything. Refuses by the constraints
-- circle_name_key and circle_name_form.
--   change  any of {name, purpose, mode, rules, private, public, budget}; a `budget` of null takes it away
create or replace function circles.change_circle(account uuid, ref text, change jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle := circles.lock_circle(account, ref);
    own_role text := circles.role_of(account, c.id);
begin
    if c.id is null then
        return circles.refused('circle-not-found');
    elsif own_role is null then
        return circles.refused('not-a-member');
    elsif own_role not in ('owner', 'moderator') or own_role = 'moderator' and change ?| '{name,mode,private,public,budget}' then
        return circles.refused('forbidden');
    elsif change ->> 'mode' = 'moderated' and not circles.has_moderator(c.id) then
        return circles.refused('mode-needs-moderator');
    end if;
    update circles.circle x set name = coalesce(change ->> 'name', x.name),
        purpose = coalesce(change ->> 'purpose', x.purpose),
        purpose_by = case when change ->> 'purpose' is null then x.purpose_by else account end,
        mode = coalesce(change ->> 'mode', x.mode),
        rules = coalesce(change -> 'rules', x.rules), private = coalesce((change ->> 'private')::boolean, x.private),
        public = coalesce((change ->> 'public')::boolean, x.public),
        version = x.version + 1
    where x.id = c.id returning x.* into c;
    perform circles.set_budget('circle:' || c.id, change -> 'budget');
    perform events.emit(array['circle:' || c.id], 'circle.changed', circles.circle_json(c, null), null, account);
    perform events.emit(array['circle:' || c.id], 'access.changed', '{"account": null}', null, account)
    where change ? 'private';
    return jsonb_build_object('ok', circles.circle_json(c, account));
end
$$;
grant execute on function circles.change_circle(uuid, text, jsonb) to gather_circles;
