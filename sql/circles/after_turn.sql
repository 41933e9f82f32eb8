-- What follows a turn by the mode of its circle: whom its speaker has named, or, where all were asked side by side, the
-- moderator when the last of them is done. Whoever cancels a turn ends what would follow from it, but not what others say.
create or replace function circles.after_turn(turn uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
    c circles.circle;
    moderator uuid;
    latest bigint;
    next_one uuid;
begin
    select x.* into t from circles.turn x where x.id = turn;
    select x.* into c from circles.circle x where x.id = t.circle_id;
    if c.id is null or t.visible_to is not null
        or exists (select from circles.conversation v where v.channel_id = t.channel_id and v.status = 'closed') then
        return;
    end if;
    select h.last_seq into latest from channels.channel h where h.id = t.channel_id;
    moderator := circles.moderator_of(c.id);
    if c.mode in ('moderated', 'handoff') and t.next_id is not null and t.status <> 'cancelled' then
        perform circles.start_turn(t.channel_id, t.next_id, coalesce(t.reply_id, t.cause_id), latest, t.hops + 1, null);
    elsif t.reply_id is null and t.status <> 'cancelled' and c.mode = 'moderated' and t.agent_id <> moderator then
        -- A speaker who says nothing leaves it to the moderator, as one who says something does.
        perform circles.start_turn(t.channel_id, moderator, t.cause_id, latest, t.hops + 1, null);
    elsif t.reply_id is null and t.status <> 'cancelled' and c.mode = 'round_robin' then
        next_one := circles.next_in_round(c, t.agent_id, t.hops + 1, circles.beginner_of(t.cause_id));
        perform circles.start_turn(t.channel_id, next_one, t.cause_id, latest, t.hops + 1, null) where next_one is not null;
    elsif c.mode = 'parallel' and t.agent_id <> moderator and t.hops = 0 and not exists (
        select from circles.turn o
        where o.channel_id = t.channel_id and o.cause_id = t.cause_id and o.finished_at is null)
        and (t.status <> 'cancelled' or exists (select from circles.turn o
            where o.channel_id = t.channel_id and o.cause_id = t.cause_id and o.reply_id is not null)) then
        perform circles.start_turn(t.channel_id, moderator, t.cause_id, latest, 1, null);
    end if;
end
$$;
