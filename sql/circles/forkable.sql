-- The number of a turn's first steps after which it can be forked: the given one, or all up to the last that has ended. Null:
-- one of them has not ended, nobody knows how the last of them did, or there are not so many.
create or replace function circles.forkable(turn uuid, after_step integer) returns integer
language sql stable
as $$
    with ended as (
        select s.number, s.status from circles.step s
        where s.turn_id = forkable.turn and s.number < coalesce((select min(o.number) from circles.step o
            where o.turn_id = forkable.turn and o.status = 'started'), 2147483647))
    select case when forkable.after_step is null then coalesce(max(e.number), 0)
        when forkable.after_step = 0 then 0 else max(e.number) filter (where e.number = forkable.after_step) end
    from ended e where e.status <> 'unknown'
$$;
