-- Emits that a step of a turn began or ended, without what was given and answered.
create or replace function circles.tell_step(s circles.step) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform circles.tell_turn(s.turn_id, 'step', circles.step_json(s, false) || jsonb_build_object('turn', s.turn_id));
end
$$;
