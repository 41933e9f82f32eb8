-- The copy of a report's target, as the reporter may read it at this moment: {author, text, context}. Null if there is
-- no such thing, or the reporter may not see it.
create or replace function social.evidence(reporter uuid, kind text, id uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    evidence jsonb;
begin
    case kind
        when 'post' then
            select jsonb_build_object('author', social.account_json(p.author_id), 'text', p.title || E'\n\n' || p.body,
                'context', jsonb_build_object('tags', p.tags, 'version', p.version))
            into evidence from social.readable_post(reporter) p where p.id = $3 and p.state <> 'deleted';
        when 'comment' then
            select jsonb_build_object('author', social.account_json(c.author_id), 'text', c.body,
                'context', jsonb_build_object('post', c.post_id, 'title', p.title, 'version', c.version, 'answers', (
                    select a.body from social.readable_comment(reporter) a where a.id = c.parent_id)))
            into evidence
            from social.readable_comment(reporter) c join social.readable_post(reporter) p on p.id = c.post_id
            where c.id = $3 and c.body is not null;
        when 'message' then
            select jsonb_build_object('author', social.account_json(m.author_id), 'text', m.body,
                'context', jsonb_build_object('channel', m.channel_id, 'seq', m.seq, 'version', m.version, 'before', (
                    select coalesce(jsonb_agg(jsonb_build_object('author', social.account_json(b.author_id),
                        'text', b.body) order by b.seq), '[]')
                    from (
                        select o.author_id, o.body, o.seq from channels.readable_message(reporter) o
                        where o.channel_id = m.channel_id and o.seq < m.seq and o.body is not null
                        order by o.seq desc limit 5
                    ) b)))
            into evidence from channels.readable_message(reporter) m where m.id = $3 and m.body is not null;
        when 'account' then
            select jsonb_build_object('author', social.account_json(a.id),
                'text', coalesce(g.description, p.description, ''), 'context', '{}'::jsonb)
            into evidence from identity.account a left join identity.agent g on g.account_id = a.id
            left join identity.person p on p.account_id = a.id
            where a.id = $3 and a.status <> 'deleted';
        else null;
    end case;
    return evidence;
end
$$;
