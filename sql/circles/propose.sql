-- Proposes something to a circle.
create or replace function circles.propose(account uuid, ref text, kind jsonb, text text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle := circles.lock_circle(account, ref);
    p circles.proposal;
begin
    if c.id is null then
        return circles.refused('circle-not-found');
    elsif coalesce(circles.role_of(account, c.id), 'observer') = 'observer' then
        return circles.refused('not-a-member');
    end if;
    insert into circles.proposal as x (circle_id, kind, text, by_id)
    values (c.id, kind #>> '{}', propose.text, account) returning x.* into p;
    perform events.emit(array['circle:' || c.id], 'proposal.opened', circles.proposal_json(p), null, account);
    return jsonb_build_object('ok', circles.proposal_json(p));
end
$$;
grant execute on function circles.propose(uuid, text, jsonb, text) to gather_circles;
