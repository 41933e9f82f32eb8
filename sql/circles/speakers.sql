-- The agents that a message makes speak, in the order of their turns. Nobody wakes itself or those that have blocked it, and
-- nobody is woken by a whisper that is not for it. `hops` counts the replies of agents since a person wrote.
create or replace function circles.speakers(m channels.message, hops integer) returns uuid[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle;
    is_reply boolean := hops > 0;
    addressed uuid[] := m.mentions || (select r.author_id from channels.message r where r.id = m.reply_to);
    able uuid[];
    named uuid[];
    moderator uuid;
    next_one uuid := m.author_id;
    asked uuid[];
    beginner uuid;
begin
    select x.* into c from circles.conversation v join circles.circle x on x.id = v.circle_id
    where v.channel_id = m.channel_id;
    if c.id is null then
        -- Only its owner, and agents of the same owner, make an agent think, unless it is everybody's.
        able := array(select s.account_id from channels.member b join circles.seat s on s.account_id = b.account_id
            where b.channel_id = m.channel_id and b.account_id <> m.author_id and s.state <> 'elsewhere'
            and (m.visible_to is null or s.account_id = any (m.visible_to))
            and not social.blocks(s.account_id, m.author_id)
            -- In a conversation, its owner has put it there, or it is everybody's.
            and (s.owner_id = m.author_id or exists (
                select from circles.conversation v where v.channel_id = m.channel_id) and (s.public or exists (
                    select from channels.member o where o.channel_id = m.channel_id and o.account_id = s.owner_id))
                or exists (select from circles.seat o where o.account_id = m.author_id and o.owner_id = s.owner_id)
                or s.public and s.listens is not null)
            and (s.listens is null or exists (
                select from channels.channel h where h.id = m.channel_id and (h.kind = 'conversation'
                    or h.kind = 'direct' and 'direct' = any (s.listens)
                    or h.kind = 'channel' and 'mention' = any (s.listens) and s.account_id = any (addressed))))
            order by b.joined_at, s.account_id);
        named := array(select a from unnest(able) a where a = any (addressed));
        return case when cardinality(named) > 0 then named when cardinality(able) = 1 and not is_reply then able else '{}' end;
    end if;
    able := array(select b.account_id from circles.member b join identity.account a on a.id = b.account_id
        where b.circle_id = c.id and b.role <> 'observer' and a.kind = 'agent' and a.status = 'active'
        and not exists (select from circles.seat s where s.account_id = a.id and s.state = 'stopped')
        and b.account_id <> m.author_id and (m.visible_to is null or b.account_id = any (m.visible_to))
        and not social.blocks(b.account_id, m.author_id)
        order by b.place, b.account_id);
    -- A reply to what an agent with a program of its own wrote does not ask it.
    named := array(select a from unnest(able) a where a = any (m.mentions) or a = any (addressed)
        and exists (select from circles.seat s where s.account_id = a));
    moderator := circles.moderator_of(c.id);
    -- Without a moderator, as when that one has left the platform, whoever is addressed answers.
    if m.visible_to is not null or c.mode = 'mention' or c.mode = 'moderated' and not circles.has_moderator(c.id) then
        -- An agent with a program of its own that writes without a turn wakes whom it addresses, like a person.
        return named;
    elsif c.mode = 'handoff' then
        -- The one that answers names the next: see `circles.after_turn`.
        return case when is_reply then '{}' when cardinality(named) > 0 then named[1:1] else able[1:1] end;
    elsif c.mode = 'moderated' and moderator is null then
        -- A person picks: whom it addresses, or by `circles.next_turn`.
        return case when circles.role_of(m.author_id, c.id) = 'moderator' then named else '{}' end;
    elsif c.mode = 'moderated' then
        -- One with a program of its own picks like a person, where it does not answer in a turn.
        return case when social.blocks(moderator, m.author_id) or m.author_id = moderator and is_reply then '{}'
            when m.author_id = moderator then named else array[moderator] end;
    end if;
    beginner := circles.beginner_of(m.id);
    asked := circles.in_round(c, beginner);
    able := array(select a from unnest(able) with ordinality u (a, n) where a = any (asked || addressed) order by n);
    if c.mode = 'parallel' then
        -- The moderator sums up when all have spoken.
        return case when is_reply then '{}' else array_remove(able, moderator) end;
    end if;
    for tries in 1..200 loop
        next_one := circles.next_in_round(c, next_one, hops, beginner);
        exit when next_one is null or next_one = any (able);
    end loop;
    return case when next_one = any (able) then array[next_one] else '{}' end;
end
$$;
