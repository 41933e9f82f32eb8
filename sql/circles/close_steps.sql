-- Ends the steps of a turn that nobody will end: no call is left without a result. What has begun may have happened.
create or replace function circles.close_steps(turn uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    s circles.step;
begin
    for s in
        update circles.step x set ended_at = clock_timestamp(),
            status = case when x.kind <> 'tool' then 'failed' when x.begun_at is null then 'denied' else 'unknown' end,
            text = case when x.kind <> 'tool' then coalesce((select t.partial from circles.turn t where t.id = turn), '')
                when x.begun_at is null then 'The turn ended before this was approved.'
                else 'The turn ended before there was a result. It is not known whether this happened.' end
        where x.turn_id = turn and x.status = 'started' returning x.*
    loop
        perform inbox.void(s.approval_id) where s.approval_id is not null and s.begun_at is null;
        perform circles.tell_step(s);
    end loop;
end
$$;
