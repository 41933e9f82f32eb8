-- The JSON of a report in answers. The copy of its target is for moderators.
create or replace function social.report_json(r social.report, for_moderator boolean) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', r.id, 'target', r.target, 'reason', r.reason, 'state', r.state,
            'created_at', r.created_at)
        || case when for_moderator then jsonb_build_object('reporter', social.account_json(r.reporter_id),
            'evidence', r.evidence, 'resolution', r.resolution, 'resolved_by', r.resolved_by,
            'resolved_at', r.resolved_at) else '{}' end
$$;
