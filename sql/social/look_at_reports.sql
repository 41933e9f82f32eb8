-- The reports for a moderator, the newest first. The audit records that the moderator has seen them.
create or replace function social.look_at_reports(account uuid, state text, after uuid, most bigint, client jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    found jsonb;
begin
    select coalesce(jsonb_agg(social.report_json(r, true) order by r.id desc), '[]') into found
    from (
        select x.* from social.report x
        where (look_at_reports.state is null or x.state = look_at_reports.state)
        and (look_at_reports.after is null or x.id < look_at_reports.after)
        order by x.id desc limit look_at_reports.most
    ) r;
    perform audit.record(account, 'report.read', null, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('state', look_at_reports.state, 'reports', jsonb_array_length(found)));
    return jsonb_build_object('ok', found);
end
$$;
grant execute on function social.look_at_reports(uuid, text, uuid, bigint, jsonb) to gather_social;
