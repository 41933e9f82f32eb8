-- Copies the messages of a channel, up to a number, into a conversation that has none: the newest 1,000 that an account may
-- read, with what they have been since. Whispers stay whispers. Returns the former numbers, in their order. Nobody is told of
-- them or asked by them, and all members have read them.
create or replace function circles.copy_messages(account uuid, source uuid, target uuid, up_to bigint) returns bigint[]
language plpgsql
as $$
declare
    seqs bigint[];
begin
    with readable as (
        select r.id from channels.readable_message(account) r
        where r.channel_id = source and r.seq <= up_to and (r.state <> 'hidden' or r.body is not null)
        order by r.seq desc limit 1000
    ), chosen as materialized (
        select m.*, platform.uuid_v7() as copy, row_number() over (order by m.seq) as place
        from readable r join channels.message m on m.id = r.id
    ), copied as (
        insert into channels.message (id, channel_id, seq, author_id, body, html, plain, words, reply_to, visible_to, mentions,
            mentions_all, created_at, edited_at, deleted_at, hidden_at, locked_at, moderated_by, moderated_for,
            moderated_by_scope, copied_from)
        select c.copy, target, c.place, c.author_id, c.body, c.html, c.plain, c.words, o.copy, c.visible_to, c.mentions,
            c.mentions_all, c.created_at, c.edited_at, c.deleted_at, c.hidden_at, c.locked_at, c.moderated_by,
            c.moderated_for, c.moderated_by_scope, c.id
        from chosen c left join chosen o on o.id = c.reply_to order by c.place
    )
    select coalesce(array_agg(c.seq order by c.seq), '{}') into seqs from chosen c;
    update channels.channel h set last_seq = cardinality(seqs), last_message_at = (
        select m.created_at from channels.message m where m.channel_id = source and m.seq = seqs[cardinality(seqs)])
    where h.id = target;
    update channels.member b set read_seq = cardinality(seqs) where b.channel_id = target;
    return seqs;
end
$$;
