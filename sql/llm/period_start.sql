-- When the period of a budget that a moment lies in began.
create or replace function llm.period_start(period text, at timestamptz) returns timestamptz
language sql immutable
as $$
    select case period
        when 'day' then date_trunc('day', at at time zone 'UTC') at time zone 'UTC'
        when 'month' then date_trunc('month', at at time zone 'UTC') at time zone 'UTC'
        else '-infinity'::timestamptz end
$$;
