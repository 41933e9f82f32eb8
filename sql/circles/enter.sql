-- Adds an account to a circle that the caller has locked, and to its open conversations; or changes its role and its
-- place, where it is a member already.
create or replace function circles.enter(c circles.circle, account uuid, role text, place integer, actor uuid) returns jsonb
language plpgsql
as $$
declare
    m circles.member;
    is_new boolean := circles.role_of(account, c.id) is null;
begin
    insert into circles.member as x (circle_id, account_id, role, place)
    values (c.id, enter.account, coalesce(enter.role, 'member'), coalesce(enter.place, (
        select least(coalesce(max(o.place), 0) + 1, 10000) from circles.member o where o.circle_id = c.id)))
    on conflict on constraint member_pkey do update
    set role = coalesce(enter.role, x.role), place = coalesce(enter.place, x.place)
    returning x.* into m;
    perform circles.withdraw_votes(c.id, enter.account) where m.role = 'observer';
    if is_new then
        insert into channels.member (channel_id, account_id, added_by, read_seq)
        select v.channel_id, enter.account, actor, h.last_seq
        from circles.conversation v join channels.channel h on h.id = v.channel_id
        where v.circle_id = c.id on conflict do nothing;
        perform events.emit(array['circle:' || c.id, 'account:' || enter.account], 'member.joined',
            circles.member_json(m) || jsonb_build_object('circle', c.id), null, actor);
    end if;
    return jsonb_build_object('is_new', is_new, 'circle', c.id, 'member', circles.member_json(m));
end
$$;
