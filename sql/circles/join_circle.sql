-- Joins a public circle.
create or replace function circles.join_circle(account uuid, ref text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle := circles.lock_circle(account, ref);
begin
    if c.id is null then
        return circles.refused('circle-not-found');
    elsif circles.role_of(account, c.id) is null then
        perform circles.enter(c, account, 'member', null, account);
    end if;
    return jsonb_build_object('ok', circles.circle_json(c, account));
end
$$;
grant execute on function circles.join_circle(uuid, text) to gather_circles;
