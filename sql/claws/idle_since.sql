-- Since when a claw has had nothing to think about; infinity: it has.
create or replace function claws.idle_since(c claws.claw) returns timestamptz
language sql stable
as $$
    select case when exists (select from circles.turn t where t.agent_id = c.id and t.finished_at is null) then 'infinity'
        else greatest(
            (select h.at from claws.change h where h.claw_id = c.id order by h.id desc limit 1),
            (select t.finished_at from circles.turn t where t.agent_id = c.id order by t.id desc limit 1)) end
$$;
