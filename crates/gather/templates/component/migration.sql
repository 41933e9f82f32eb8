-- Which jobs of the kind {{name}} were done.

create schema {{identifier}};

create table {{identifier}}.done (
    job_id uuid constraint done_pkey primary key,
    at timestamptz not null default now()
);

select platform.role('{{identifier}}', '{{identifier}}');
grant select, insert on {{identifier}}.done to gather_{{identifier}};
