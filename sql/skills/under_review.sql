-- The subject of a review, and its decision if there is one.
create or replace function skills.under_review(version uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('version_id', v.id, 'skill_id', s.id, 'name', s.name, 'version', v.version,
        'digest', v.digest, 'manifest', v.manifest, 'tools', v.tools, 'facts', v.facts, 'status', v.status,
        'held', v.held, 'published_by', v.published_by,
        'reasons', v.review -> 'reasons', 'quality', v.quality)
    from skills.version v join skills.skill s on s.id = v.skill_id
    where v.id = under_review.version
$$;
grant execute on function skills.under_review to gather_skill_review;
