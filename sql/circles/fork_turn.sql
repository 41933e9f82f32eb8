-- Makes a conversation that stands where a turn stood after one of its steps, and has its agent think on from there in a turn
-- there: null is the last step that has ended, 0 the beginning. The turn itself is only read. For who may read its steps and
-- make such a conversation: of the same circle, or with those of the same members whom the account can put there.
create or replace function circles.fork_turn(account uuid, turn uuid, after_step integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
    v circles.conversation;
    done integer;
    hops integer;
    up_to bigint;
    made jsonb;
    target uuid;
    seqs bigint[];
    cause uuid;
    begun uuid;
begin
    select x.* into t from circles.find_turn(account, turn) x;
    if t.id is null then
        return circles.refused('turn-not-found');
    elsif not circles.may_read_steps(account, t) then
        return circles.refused('forbidden');
    end if;
    select x.* into v from circles.find_conversation(account, t.channel_id) x;
    if v.is_over then
        return circles.refused('circle-deleted');
    elsif t.persona_id is null or not exists (
        select from circles.seat s join identity.account a on a.id = s.account_id and a.status = 'active'
        where s.account_id = t.agent_id and s.state <> 'elsewhere'
        and case when v.circle_id is not null then circles.role_of(s.account_id, v.circle_id) <> 'observer' else exists (
            select from channels.member b where b.channel_id = t.channel_id and b.account_id = s.account_id) end) then
        return circles.refused('turn-not-forkable');
    end if;
    done := circles.forkable(t.id, fork_turn.after_step);
    if done is null then
        return circles.refused('step-not-ended');
    elsif circles.is_crowded(t.channel_id) then
        return circles.refused('too-many-turns', 10000);
    end if;
    made := circles.create_conversation(account, jsonb_build_object('circle', v.circle_id, 'with', (
            select coalesce(jsonb_agg(a.id), '[]')
            from channels.member b join identity.account a on a.id = b.account_id and a.status = 'active'
            left join circles.seat s on s.account_id = a.id
            -- Of a channel, the agent alone: the others are there for something else.
            where b.channel_id = t.channel_id and (v.channel_id is not null or a.id = t.agent_id) and a.id <> account
            and (s.account_id is null or s.owner_id = account) and not social.blocks(a.id, account)),
        'title', ltrim(left(coalesce(v.title, ''), 193) || ' (fork)'), 'limits', v.limits, 'is_fork', true));
    if made ? 'refused' then
        return made;
    end if;
    target := (made #>> '{ok,id}')::uuid;
    up_to := greatest(t.cause_seq, (select max(s.read_seq) from circles.step s
        where s.turn_id = t.id and s.kind = 'model' and s.status = 'succeeded' and s.number <= done));
    seqs := circles.copy_messages(account, t.channel_id, target, up_to);
    insert into circles.summary (channel_id, agent_id, seq, text, tainted)
    select target, y.agent_id, circles.place_in(seqs, y.seq), y.text, y.tainted
    from circles.summary y join channels.member b on b.channel_id = target and b.account_id = y.agent_id
    where y.channel_id = t.channel_id and y.seq <= up_to;
    select m.id into cause from channels.message m where m.channel_id = target and m.copied_from = t.cause_id;
    -- An agent that forks its own turn begins what follows from the turn that it does this in.
    select max(x.hops) + 1 into hops from circles.turn x join circles.seat s on s.account_id = x.agent_id
    where x.agent_id = account and x.finished_at is null;
    begun := circles.start_turn(target, t.agent_id, cause, circles.place_in(seqs, t.cause_seq), greatest(t.hops, hops),
        t.visible_to, t.prompt, fork => jsonb_build_object('turn', t.id, 'after_step', done, 'seqs', seqs));
    return jsonb_build_object('ok', (select circles.conversation_json(x) from circles.conversation x
        where x.channel_id = target) || jsonb_build_object('turn', jsonb_build_object('id', begun)));
end
$$;
grant execute on function circles.fork_turn(uuid, uuid, integer) to gather_circles;
