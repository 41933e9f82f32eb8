-- What the models of a turn have cost, with those of the agents that it asked, in millionths of a dollar.
create or replace function circles.spent_of(turn uuid) returns numeric
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with recursive family as (
        select spent_of.turn as id
        union all
        select x.id from family f join circles.turn x on x.parent_id = f.id)
    select coalesce(sum(c.cost_microusd), 0) from family f join llm.call c on c.parent = 'turn:' || f.id
$$;
