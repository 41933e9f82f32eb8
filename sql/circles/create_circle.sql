-- Makes a circle that the account owns, with its members. Refuses by the constraints circle_name_key, circle_name_form,
-- persona_name_key, those of `identity.create_hosted_agent`, circle_members if one of the members can't be added, and
-- circle_moderator.
--   new  {name, purpose, mode, rules, private, public, budget, members, seats}
--     members  those that `circles.put_member` takes
--     seats    agents with personas of their own: {name, role, definition}
--   held  as `circles.put_member` takes it
create or replace function circles.create_circle(account uuid, new jsonb, held text[]) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made circles.circle;
    one jsonb;
    persona jsonb;
begin
    perform identity.require_active(account);
    insert into circles.circle as c (name, purpose, purpose_by, mode, rules, private, public, created_by)
    values (new ->> 'name', new ->> 'purpose', account, new ->> 'mode', new -> 'rules', (new ->> 'private')::boolean,
        (new ->> 'public')::boolean, account)
    returning c.* into made;
    insert into circles.member (circle_id, account_id, role) values (made.id, account, 'owner');
    perform circles.set_budget('circle:' || made.id, nullif(new -> 'budget', 'null'));
    perform events.emit(array['circle:' || made.id, 'account:' || account], 'circle.created',
        circles.circle_json(made, null), null, account);
    for one in select value from jsonb_array_elements(coalesce(nullif(new -> 'seats', 'null'), '[]')) loop
        persona := circles.create_persona(account, one || '{"visibility": "private"}');
        if persona ? 'refused' or circles.put_member(account, made.id::text, jsonb_build_object(
            'persona', persona #> '{ok,id}', 'role', one -> 'role'), held) ? 'refused' then
            perform identity.refuse('circle_members');
        end if;
    end loop;
    for one in select value from jsonb_array_elements(coalesce(nullif(new -> 'members', 'null'), '[]')) loop
        if circles.put_member(account, made.id::text, one, held) ? 'refused' then
            perform identity.refuse('circle_members');
        end if;
    end loop;
    if made.mode = 'moderated' and not circles.has_moderator(made.id) then
        perform identity.refuse('circle_moderator');
    end if;
    return jsonb_build_object('ok', circles.circle_json(made, account));
end
$$;
grant execute on function circles.create_circle(uuid, jsonb, text[]) to gather_circles;
