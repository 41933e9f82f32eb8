-- Makes a circle that the account owns. Refuses by the constraints circle_name_key and circle_name_form.
--   new  {name, purpose, mode, rules, private, budget}
create or replace function circles.create_circle(account uuid, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made circles.circle;
begin
    perform identity.require_active(account);
    insert into circles.circle as c (name, purpose, mode, rules, private, created_by)
    values (new ->> 'name', new ->> 'purpose', new ->> 'mode', new -> 'rules', (new ->> 'private')::boolean, account)
    returning c.* into made;
    insert into circles.member (circle_id, account_id, role) values (made.id, account, 'owner');
    perform circles.set_budget('circle:' || made.id, new -> 'budget');
    perform events.emit(array['circle:' || made.id, 'account:' || account], 'circle.created',
        circles.circle_json(made, null), null, account);
    return jsonb_build_object('ok', circles.circle_json(made, account));
end
$$;
grant execute on function circles.create_circle(uuid, jsonb) to gather_circles;
