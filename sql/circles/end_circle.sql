-- Deletes a circle that the caller has locked. Its conversations are closed for good and stay readable, the turns in them
-- are cancelled, and its budget goes with it.
create or replace function circles.end_circle(circle uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- As whoever posts, and before turns.
    perform from channels.channel h
    where h.id in (select v.channel_id from circles.conversation v where v.circle_id = circle)
    order by h.id for no key update;
    perform circles.stop_turn(t.id) from circles.turn t where t.circle_id = circle and t.finished_at is null;
    perform llm.delete_limits('circle:' || circle);
    delete from circles.circle c where c.id = circle;
end
$$;
