-- The data of an account here: posts and comments with their former versions, votes, blocks and reports.
create or replace function social.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'posts', coalesce((
            select jsonb_agg(jsonb_build_object('id', p.id, 'title', p.title, 'body', p.body, 'tags', p.tags,
                'created_at', p.created_at, 'edited_at', p.edited_at, 'revisions', coalesce((
                    select jsonb_agg(jsonb_build_object('version', r.version, 'title', r.title, 'body', r.body,
                        'tags', r.tags, 'written_at', r.written_at) order by r.version)
                    from social.revision r where r.post_id = p.id and r.struck_at is null), '[]')) order by p.created_at)
            from social.post p where p.author_id = account and p.deleted_at is null), '[]'),
        'comments', coalesce((
            select jsonb_agg(jsonb_build_object('id', c.id, 'post', c.post_id, 'body', c.body,
                'created_at', c.created_at, 'edited_at', c.edited_at, 'revisions', coalesce((
                    select jsonb_agg(jsonb_build_object('version', r.version, 'body', r.body, 'written_at', r.written_at)
                        order by r.version)
                    from social.comment_revision r where r.comment_id = c.id and r.struck_at is null), '[]'))
                order by c.created_at)
            from social.comment c where c.author_id = account and c.deleted_at is null), '[]'),
        'votes', coalesce((
            select jsonb_agg(jsonb_build_object('target', v.target, 'value', v.value) order by v.target) from (
                select 'post:' || o.post_id as target, o.value from social.post_vote o where o.account_id = account
                union all
                select 'comment:' || o.comment_id, o.value from social.comment_vote o where o.account_id = account
            ) v), '[]'),
        'blocks', coalesce((
            select jsonb_agg(social.block_json(b) order by b.created_at) from social.block b
            where b.blocker = account), '[]'),
        'reports', coalesce((
            select jsonb_agg(social.report_json(r, false) order by r.id) from social.report r
            where r.reporter_id = account), '[]'))
$$;
